#include "experiments/taxon/command.h"

int main(int argc, char **argv) { return tx_main(argc, argv, NULL); }

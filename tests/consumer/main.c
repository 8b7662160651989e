/* The command `taxon` with a model more. */
#include "common/model/model.h"
#include "experiments/taxon/command.h"

extern const tx_model_ops model_laplace;

int main(int argc, char **argv)
{
    static const tx_model_ops *const own[] = {&model_laplace, NULL};
    return tx_main(argc, argv, own);
}

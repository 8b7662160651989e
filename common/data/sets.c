/* The registered data sets: one line each. */
#include <string.h>
#include "common/data/internal.h"

/* Sizes and sums are of the decompressed files. */
static const tx_set_ops fashion_mnist = {
    .name = "fashion_mnist",
    .summary = "images of clothing, 28 x 28, 256 levels, 10 classes; train 50000, valid 10000, test 10000",
    .citation = "xiao2017fashion",
    .files =
        "train-images-idx3-ubyte[.gz] (47040016 bytes, sha256 c59f468a2f67...), train-labels-idx1-ubyte[.gz] (60008, "
        "bad3541b69d9...), t10k-images-idx3-ubyte[.gz] (7840016, 5b4141f0afba...), t10k-labels-idx1-ubyte[.gz] (10008, "
        "0402a96d92fd...), sums of the decompressed files; published by Zalando Research "
        "(github.com/zalandoresearch/fashion-mnist) and as Debian's package dataset-fashion-mnist",
    .load = tx_load_mnist,
};
static const tx_set_ops mnist = {
    .name = "mnist",
    .summary = "handwritten digits, 28 x 28, 256 levels, 10 classes; train 50000, valid 10000, test 10000",
    .citation = "lecun1998gradient",
    .files =
        "train-images-idx3-ubyte[.gz] (47040016 bytes, sha256 ba891046e650...), train-labels-idx1-ubyte[.gz] (60008, "
        "65a50cbbf4e9...), t10k-images-idx3-ubyte[.gz] (7840016, 0fa7898d5092...), t10k-labels-idx1-ubyte[.gz] (10008, "
        "ff7bcfd416de...), sums of the decompressed files; published by LeCun, Cortes and Burges "
        "(yann.lecun.com/exdb/mnist)",
    .load = tx_load_mnist,
};
static const tx_set_ops binarized_mnist = {
    .name = "binarized_mnist",
    .summary = "MNIST binarised once and for all, 28 x 28; train 50000, valid 10000, test 10000",
    .citation = "salakhutdinov2008quantitative",
    .files = "binarized_mnist_train.amat[.gz] (78400000 bytes), binarized_mnist_valid.amat[.gz] (15680000), "
             "binarized_mnist_test.amat[.gz] (15680000), decompressed; published by Larochelle "
             "(www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist)",
    .load = tx_load_binarized_mnist,
};

#define DENSITY_FILES(name, train, valid, test)                                                                        \
    name ".train.data (" train " bytes), " name ".valid.data (" valid "), " name ".test.data (" test ")"               \
         "; published by the UCLA StarAI lab (github.com/UCLA-StarAI/Density-Estimation-Datasets)"
#define DENSITY(id, about, key, train, valid, test)                                                                    \
    static const tx_set_ops id = {#id, about, key, DENSITY_FILES(#id, train, valid, test), tx_load_named}
DENSITY(nltcs, "disability survey, 16 binary variables; train 16181, valid 2157, test 3236", "lowd2010learning",
        "517792", "69024", "103552");
DENSITY(plants, "where plants grow, 69 binary variables; train 17412, valid 2321, test 3482", "lowd2010learning",
        "2402856", "320298", "480516");
DENSITY(baudio, "music preferences, 100 binary variables; train 15000, valid 2000, test 3000", "lowd2010learning",
        "3000000", "400000", "600000");
DENSITY(mushrooms, "mushroom attributes, 112 binary variables; train 2000, valid 500, test 5624",
        "larochelle2011neural", "448000", "112000", "1259776");
DENSITY(dna, "gene sequences, 180 binary variables; train 1600, valid 400, test 1186", "vanhaaren2012markov", "576000",
        "144000", "426960");

const tx_set_ops *const tx_set_list[] = {
    &fashion_mnist,
    &mnist,
    &binarized_mnist,
    &nltcs,
    &plants,
    &baudio,
    &mushrooms,
    &dna,
    &tx_set_mixture_1d,
    &tx_set_ring,
    &tx_set_grid,
    &tx_set_bars,
    &tx_set_bernoulli_mixture,
    &tx_set_echo,
    NULL,
};

const tx_set_ops *tx_set_find(const char *name)
{
    for (int i = 0; tx_set_list[i]; i++)
        if (strcmp(tx_set_list[i]->name, name) == 0) return tx_set_list[i];
    return NULL;
}

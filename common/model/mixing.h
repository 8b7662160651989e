/** How a Markov chain mixes. */
#ifndef TX_MODEL_MIXING_H
#define TX_MODEL_MIXING_H
#include "common/base/base.h"

/** Integrated autocorrelation time, in steps, of a scalar f[chains,steps] of a stationary chain: 1 + 2 sum_k rho_k, k up
 *  to the first window of at least 5 times the sum (Sokal 1997, section 3). Covariances are about the mean of all chains, so
 *  that chains which each stay near a mode of their own count as slow. What steps / tau independent draws would tell, a
 *  chain tells in `steps`; 1 where draws are independent or f is constant. A value above steps/10 is a lower bound. */
double tx_autocorrelation_time(size_t chains, size_t steps, const double f[]);
#endif

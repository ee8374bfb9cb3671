/* nft_generation: nftables' change counter: as long as it stands still, nobody has touched a rule
 * of this process's netns, and nobody needs to run iptables-save to find that out.
 */
#pragma once

#include <stdint.h>

/* nft_generation_get(ret): 0, or -errno where there is no nftables. */
int nft_generation_get(uint32_t *ret);

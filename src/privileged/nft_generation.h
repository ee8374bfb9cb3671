/* nft_generation: nftables' change counter: as long as it stands still, nobody has touched a rule
 * of this process's netns, and nobody needs to run iptables-save to find that out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* nft_generation_get(ret): 0, or -errno where there is no nftables. */
int nft_generation_get(uint32_t *ret);

/* nft_watch_open(): a socket that becomes readable when somebody changes a rule of this process's
 * netns by nftables. The caller's, or -errno. */
int nft_watch_open(void);

/* nft_watch_read(fd): take what has come. Might a rule of rolegate's in raw or filter have been among what was
 * removed? (Bridge mode's own tables are not looked at: they are written anew all the time, and who
 * flushes all takes raw, too.) */
bool nft_watch_read(int fd);

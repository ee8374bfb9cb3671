/* isolate: giving up, stage by stage, what netd no longer needs.
 *
 *   isolate_start()	before anything is opened. From here on no file we make is readable for
 *			others, and nobody but root looks into our memory.
 *	  may		everything root may: bind the socket in rolegated's directory, give it to
 *			rolegated, load the kernel's iptables modules while the host rules go in
 *	  mustn't	read a byte that a peer sent
 *   isolate_serve()	before the first peer is accepted; never undone, inherited by workers and by
 *			the iptables programs they run.
 *	  may		enter network namespaces, change their rules, routes and sockets; look at
 *			other users' /proc/PID/ns/net; run programs that are in /usr/sbin
 *	  mustn't	change users, ignore file permissions, mount, load modules, trace or signal
 *			others' processes, make or enter other namespaces, use bpf, keys, io_uring
 *   isolate_worker()	in a forked worker: as before, but with bounded output files.
 */
#pragma once

#include "util/diag.h"

int isolate_start(struct diag *diag);

/* isolate_check(diag): are the capabilities there that netd works with? 0 or -EPERM, naming the
 * missing ones. */
int isolate_check(struct diag *diag);

int isolate_serve(struct diag *diag);
void isolate_worker(void);

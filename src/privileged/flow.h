/* flow: ending what was under way to a metadata address before the rules stood.
 *
 * nat looks at a connection's first packet only: one that conntrack already knows would go on past
 * a new redirection. Acts on the netns of the calling process. Best effort, since the rules reject
 * such packets anyway: an absent conntrack or socket-diagnosis module is no error.
 */
#pragma once

/* flow_forget(): drop conntrack's entries towards the metadata addresses. Returns how many. */
unsigned flow_forget(void);

/* flow_abort(): abort TCP sockets connected to a metadata address, so that their owners need not
 * wait for a timeout. Returns how many. */
unsigned flow_abort(void);

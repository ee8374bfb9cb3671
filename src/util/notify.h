/* notify: telling a service manager how we are, by sd_notify's protocol (man sd_notify(3)): a
 * datagram to $NOTIFY_SOCKET. Does nothing where there is none.
 */
#pragma once

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* notify_watchdog_ms(): how often the manager wants to hear that we are alive (half the time it
 * waits, from $WATCHDOG_USEC and $WATCHDOG_PID); 0: never. */
int64_t notify_watchdog_ms(void);
void notify_watchdog(void);

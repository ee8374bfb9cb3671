/* notify: telling a service manager how we are, by sd_notify's protocol (man sd_notify(3)): a
 * datagram to $NOTIFY_SOCKET. Does nothing where there is none.
 */
#pragma once

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

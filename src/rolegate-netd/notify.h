/* notify: telling the service manager (sd_notify(3)), without libsystemd. */
#pragma once

/* notify_send(state): to the socket in $NOTIFY_SOCKET; nothing happens without one. */
void notify_send(const char *state);

/* control_api: the calls of rolegated(8), CONTROL SOCKET, on top of the registrar. */
#pragma once

#include "net/control_server.h"
#include "net/host_credentials.h"
#include "rolegated/registrar.h"

struct control_api {
	struct registrar *registrar;
	const struct container_registry *registry;
	const struct config *config;
	const struct host_credentials *base_credentials;
	struct session_pool *pool;
	struct recorder *recorder;
	bool stopping; /* registrations are for the next daemon to take */
};

/* control_api_handle: a control_handler; `data` is a struct control_api. */
void control_api_handle(struct control_request *request, void *data);

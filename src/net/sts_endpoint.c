#include "net/sts_endpoint.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "util/buf.h"
#include "wire/aws_partition.h"

#define DEFAULT_REGION "us-east-1"

static void curl_url_cleanupp(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void curl_freep(char **text)
{
	curl_free(*text);
}
#define _cleanup_curl_ _cleanup_(curl_freep)

static bool has_part(CURLU *url, CURLUPart part)
{
	_cleanup_curl_ char *text = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

/* Fill url, host and path from the text of an endpoint. Host is sent as it is made here, so that
 * the signature covers what goes out. */
static int take_apart(const char *text, struct sts_endpoint *ret, char **ret_name,
		      struct diag *diag)
{
	_cleanup_(curl_url_cleanupp) CURLU *url = curl_url();
	_cleanup_curl_ char *name = NULL, *port = NULL, *path = NULL, *whole = NULL;
	_cleanup_buf_ struct buf host = {0};

	if (!url)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS);
	if (code != CURLUE_OK)
		return diag_fail(EINVAL, diag, "sts_endpoint", "%s: %s", text,
				 curl_url_strerror(code));
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_QUERY) ||
	    has_part(url, CURLUPART_FRAGMENT))
		return diag_fail(EINVAL, diag, "sts_endpoint",
				 "must have no user, query or fragment");
	if (curl_url_get(url, CURLUPART_HOST, &name, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_URL, &whole, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
		return diag_fail(EINVAL, diag, "sts_endpoint", "%s: is no usable URL", text);
	buf_puts(&host, name);
	if (curl_url_get(url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) == CURLUE_OK)
		buf_printf(&host, ":%s", port);
	ret->url = strdup(whole);
	ret->path = strdup(*path ? path : "/");
	ret->host = buf_steal(&host);
	*ret_name = strdup(name);
	if (!ret->url || !ret->path || !ret->host || !*ret_name)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	return 0;
}

int sts_endpoint_resolve(const struct config *config, const char *region, struct sts_endpoint *ret,
			 struct diag *diag)
{
	_cleanup_(sts_endpoint_deinit) struct sts_endpoint endpoint = {0};
	_cleanup_buf_ struct buf aws = {0};
	_cleanup_free_ char *name = NULL;
	const char *text = config->aws.sts_endpoint;
	char signing_region[AWS_REGION_SIZE];
	int r;

	*ret = (struct sts_endpoint){0};
	if (!region && !text)
		return diag_fail(ENODATA, diag, "region",
				 "no region is known: set [aws] region or sts_endpoint");
	if (!region)
		region = DEFAULT_REGION;
	if (text) {
		r = aws_region_check(region, diag);
	} else {
		r = aws_sts_endpoint(region, config->aws.partition, &aws, diag);
		text = aws.data;
	}
	if (r == 0)
		r = take_apart(text, &endpoint, &name, diag);
	if (r < 0)
		return r;
	aws_sts_signing_region(name, region, signing_region);
	endpoint.signing_region = strdup(signing_region);
	if (!endpoint.signing_region)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	*ret = endpoint;
	endpoint = (struct sts_endpoint){0};
	return 0;
}

void sts_endpoint_deinit(struct sts_endpoint *endpoint)
{
	free(endpoint->url);
	free(endpoint->host);
	free(endpoint->path);
	free(endpoint->signing_region);
	*endpoint = (struct sts_endpoint){0};
}

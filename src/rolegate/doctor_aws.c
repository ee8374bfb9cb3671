/* The instance's own metadata service, STS, and the clock. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "rolegate/doctor.h"
#include "util/clock.h"
#include "wire/aws_partition.h"

#define TIMEOUT_MS 3000L
#define HOP_TIMEOUT_MS 1000L
#define SKEW_WARN_S 30
#define SKEW_FAIL_S 270 /* STS refuses at 300 */
#define BODY_MAX 4096

struct exchange {
	const char *url;
	bool put;
	bool far;	    /* take only packets that could travel a hop further */
	const char *header; /* NULL: none */
	const char *ca_file;
	long timeout_ms;

	CURLcode result;
	long status;
	int64_t date_s; /* 0: none */
	struct buf body;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct exchange *e = user;

	if (e->body.len + n <= BODY_MAX)
		buf_put(&e->body, data, size * n);
	return size * n;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct exchange *e = user;
	char line[64];

	if (size * n > 5 && strncasecmp(data, "Date:", 5) == 0) {
		snprintf(line, sizeof(line), "%.*s", (int)(size * n) - 5, data + 5);
		(void)clock_parse_http_date(line + strspn(line, " "), &e->date_s);
	}
	return size * n;
}

static int on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
	const struct exchange *e = user;
	int ttl = 2;

	(void)purpose;
	/* The instance's hop limit is the TTL of the packet that carries a token: with 1 it is not
	 * accepted here. Other packets have a TTL of 64 or more. */
	if (e->far && setsockopt(fd, IPPROTO_IP, IP_MINTTL, &ttl, sizeof(ttl)) < 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &ttl, sizeof(ttl)) < 0)
		return CURL_SOCKOPT_ERROR;
	return CURL_SOCKOPT_OK;
}

static void run(struct exchange *e)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = e->header ? curl_slist_append(NULL, e->header) : NULL;

	e->result = CURLE_OUT_OF_MEMORY;
	if (!curl)
		return;
	(void)curl_easy_setopt(curl, CURLOPT_URL, e->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, e->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, e);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, e);
	(void)curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
	(void)curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, e);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (e->put)
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
	if (e->ca_file)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, e->ca_file);
	e->result = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &e->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

static void look_at_hop_limit(struct doctor *d, const char *base)
{
	_cleanup_buf_ struct buf url = {0};
	struct exchange e = {.put = true,
			     .far = true,
			     .header = "X-aws-ec2-metadata-token-ttl-seconds: 60",
			     .timeout_ms = HOP_TIMEOUT_MS};

	buf_printf(&url, "%s/latest/api/token", base);
	e.url = url.data;
	if (buf_ok(&url))
		run(&e);
	bool far = e.result == CURLE_OK && e.status == 200;
	buf_deinit(&e.body); /* a token */
	if (far)
		doctor_add(d, DOCTOR_WARN, "hop-limit",
			   "aws ec2 modify-instance-metadata-options --http-put-response-hop-limit "
			   "1 --instance-id ID",
			   "the instance's hop limit is above 1: only rolegate's rules keep a "
			   "container behind a bridge from a token");
	else
		doctor_add(d, DOCTOR_OK, "hop-limit", NULL, "the instance's hop limit is 1");
}

static void ask_imds(struct doctor *d)
{
	const char *base = d->config.aws.imds_endpoint;
	_cleanup_buf_ struct buf url = {0};
	struct exchange e = {.timeout_ms = TIMEOUT_MS};

	buf_printf(&url, "%s/latest/meta-data/", base);
	e.url = url.data;
	if (buf_ok(&url))
		run(&e);
	buf_deinit(&e.body);
	if (e.result != CURLE_OK) {
		bool needed = d->config.aws.base_credentials == BASE_IMDS;
		doctor_add(d, needed ? DOCTOR_FAIL : DOCTOR_OK, "imds",
			   needed ? "enable the instance's metadata service, or set [aws] "
				    "base_credentials"
				  : NULL,
			   "no metadata service at %s: %s", base, curl_easy_strerror(e.result));
		return;
	}
	if (e.status == 401)
		doctor_add(d, DOCTOR_OK, "imds", NULL,
			   "the instance answers IMDSv2 only (401 without a token)");
	else if (e.status == 200)
		doctor_add(d, DOCTOR_FAIL, "imds",
			   "aws ec2 modify-instance-metadata-options --http-tokens required "
			   "--instance-id ID",
			   "the instance answers IMDSv1: no token is needed for its credentials");
	else
		doctor_add(d, DOCTOR_WARN, "imds", "look at the metadata service by hand",
			   "%s answers %ld without a token", base, e.status);
	look_at_hop_limit(d, base);
}

void doctor_look_at_imds(struct doctor *d)
{
	bool as_user = d->config.intercept.protect_host && geteuid() == 0 && d->user_uid != 0;

	/* protect_host keeps even root from it, but not rolegated's user. */
	if (as_user && seteuid(d->user_uid) < 0)
		as_user = false;
	ask_imds(d);
	if (as_user && seteuid(0) < 0)
		_exit(CLI_FAILED); /* root can always become root again */
}

/* Where STS is. False after saying why that is not known. */
static bool sts_url(struct doctor *d, struct buf *ret)
{
	struct diag diag = {0};

	if (d->config.aws.sts_endpoint) {
		buf_puts(ret, d->config.aws.sts_endpoint);
		return buf_ok(ret);
	}
	if (!d->config.aws.region) {
		doctor_add(d, DOCTOR_WARN, "sts", "set [aws] region",
			   "the region comes from the instance's metadata, so STS was not tried");
		return false;
	}
	if (aws_sts_endpoint(d->config.aws.region, d->config.aws.partition, ret, &diag) == 0)
		return true;
	doctor_add(d, DOCTOR_FAIL, "sts", "correct [aws] region", "%s", diag.text);
	return false;
}

static void look_at_clock(struct doctor *d, int64_t date_s)
{
	long long skew = (long long)(clock_wall_s() - date_s);
	long long size = skew < 0 ? -skew : skew;
	const char *todo = "synchronise the clock (chronyd, systemd-timesyncd)";

	if (date_s == 0)
		doctor_add(d, DOCTOR_WARN, "clock", todo, "STS sends no date to compare with");
	else if (size >= SKEW_WARN_S)
		doctor_add(d, size >= SKEW_FAIL_S ? DOCTOR_FAIL : DOCTOR_WARN, "clock", todo,
			   "this host's clock is %lld s %s STS's", size,
			   skew < 0 ? "behind" : "ahead of");
	else
		doctor_add(d, DOCTOR_OK, "clock", NULL, "this host's clock is within %d s of STS's",
			   SKEW_WARN_S);
}

void doctor_look_at_sts(struct doctor *d)
{
	_cleanup_buf_ struct buf url = {0};
	struct exchange e = {.timeout_ms = TIMEOUT_MS, .ca_file = d->config.aws.ca_file};

	if (!sts_url(d, &url))
		return;
	e.url = url.data;
	run(&e);
	buf_deinit(&e.body);
	if (e.result != CURLE_OK) {
		doctor_add(
			d, DOCTOR_FAIL, "sts",
			"check the route, DNS, the security group, a VPC endpoint for STS, [aws] "
			"sts_endpoint and ca_file",
			"%s cannot be reached: %s", url.data, curl_easy_strerror(e.result));
		return;
	}
	if (e.status >= 500)
		doctor_add(d, DOCTOR_WARN, "sts", "wait; look at AWS's status page",
			   "%s answers %ld", url.data, e.status);
	else
		doctor_add(d, DOCTOR_OK, "sts", NULL, "%s can be reached", url.data);
	look_at_clock(d, e.date_s);
}

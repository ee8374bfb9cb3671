#include "wire/aws_partition.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct partition {
	const char *name;
	const char *region_prefix; /* NULL: every other region */
	const char *suffix;
} partitions[] = {
	{"aws-cn", "cn-", "amazonaws.com.cn"},	     {"aws-us-gov", "us-gov-", "amazonaws.com"},
	{"aws-eusc", "eusc-", "amazonaws.eu"},	     {"aws-iso", "us-iso-", "c2s.ic.gov"},
	{"aws-iso-b", "us-isob-", "sc2s.sgov.gov"},  {"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk"},
	{"aws-iso-f", "us-isof-", "csp.hci.ic.gov"}, {"aws", NULL, "amazonaws.com"},
};
#define N_PARTITIONS (sizeof(partitions) / sizeof(partitions[0]))

int aws_region_check(const char *region, struct diag *diag)
{
	size_t len = strlen(region);

	if (len == 0 || len >= AWS_REGION_SIZE ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != len || region[0] == '-' ||
	    region[len - 1] == '-')
		return diag_fail(EINVAL, diag, "region", "\"%.80s\" is no region's name", region);
	return 0;
}

const char *aws_partition_of(const char *region)
{
	for (size_t i = 0; i < N_PARTITIONS; i++) {
		const char *prefix = partitions[i].region_prefix;
		if (prefix && strncmp(region, prefix, strlen(prefix)) == 0)
			return partitions[i].name;
	}
	return "aws";
}

const char *aws_partition_suffix(const char *partition)
{
	for (size_t i = 0; i < N_PARTITIONS; i++)
		if (strcmp(partitions[i].name, partition) == 0)
			return partitions[i].suffix;
	return NULL;
}

int aws_sts_endpoint(const char *region, const char *partition, struct buf *out, struct diag *diag)
{
	int r = aws_region_check(region, diag);
	if (r < 0)
		return r;
	if (!partition)
		partition = aws_partition_of(region);
	const char *suffix = aws_partition_suffix(partition);
	if (!suffix)
		return diag_fail(EINVAL, diag, "partition",
				 "\"%.80s\" is no partition known here: set sts_endpoint",
				 partition);
	buf_printf(out, "https://sts.%s.%s", region, suffix);
	return buf_ok(out) ? 0 : diag_fail(ENOMEM, diag, NULL, "out of memory");
}

/* The rest of a host name of AWS's, before its suffix; 0: it is none. */
static size_t before_suffix(const char *host)
{
	static const char *const dual_stack[] = {"api.aws", "api.amazonwebservices.com.cn",
						 "api.amazonwebservices.eu"};
	size_t len = strlen(host);

	for (size_t i = 0; i < N_PARTITIONS + sizeof(dual_stack) / sizeof(dual_stack[0]); i++) {
		const char *suffix =
			i < N_PARTITIONS ? partitions[i].suffix : dual_stack[i - N_PARTITIONS];
		size_t n = strlen(suffix);
		if (len > n + 1 && host[len - n - 1] == '.' &&
		    strcasecmp(host + len - n, suffix) == 0)
			return len - n - 1;
	}
	return 0;
}

void aws_sts_signing_region(const char *host, const char *region, char ret[static AWS_REGION_SIZE])
{
	size_t len = before_suffix(host);
	char named[AWS_REGION_SIZE];

	snprintf(ret, AWS_REGION_SIZE, "%s", region);
	if (strcasecmp(host, "sts.amazonaws.com") == 0)
		snprintf(ret, AWS_REGION_SIZE, "us-east-1");
	for (size_t at = 0; at < len; at += strcspn(host + at, ".") + 1) {
		size_t label = strcspn(host + at, ".");
		bool is_sts = (label == 3 && strncasecmp(host + at, "sts", 3) == 0) ||
			      (label == 8 && strncasecmp(host + at, "sts-fips", 8) == 0);
		if (!is_sts || at + label >= len)
			continue;
		const char *next = host + at + label + 1;
		snprintf(named, sizeof(named), "%.*s", (int)strcspn(next, "."), next);
		if (aws_region_check(named, NULL) == 0)
			memcpy(ret, named, sizeof(named));
		return;
	}
}

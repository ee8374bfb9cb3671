#include "wire/aws_partition.h"

#include <string.h>
#include <strings.h>

#define REGION_MAX 63 /* one DNS label */

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

	if (len == 0 || len > REGION_MAX ||
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

const char *aws_sts_signing_region(const char *host, const char *region)
{
	return strcasecmp(host, "sts.amazonaws.com") == 0 ? "us-east-1" : region;
}

/* aws_partition: which AWS a region belongs to, and where its STS is.
 *
 * Source: botocore's endpoints.json and partitions.json. A role ARN's own partition is never
 * rewritten: this is only for the addresses and signatures of rolegated's own calls.
 */
#pragma once

#include "util/buf.h"
#include "util/diag.h"

#define AWS_REGION_SIZE 64 /* one DNS label */

/* aws_region_check(region, diag): a region becomes part of a host name and of a signature, so only
 * lower-case letters, digits and hyphens, 1 to 63. 0 or -EINVAL. */
int aws_region_check(const char *region, struct diag *diag);

/* aws_partition_of(region): "aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b",
 * "aws-iso-e" or "aws-iso-f"; a region nobody has heard of is in "aws". */
const char *aws_partition_of(const char *region);

/* aws_partition_suffix(partition): its DNS suffix, "amazonaws.com" for one; NULL if unknown. */
const char *aws_partition_suffix(const char *partition);

/* aws_sts_endpoint(region, partition, out, diag): append https://sts.REGION.SUFFIX. `partition`
 * NULL means the region's own. 0, -EINVAL for a bad region or unknown partition, or -ENOMEM. */
int aws_sts_endpoint(const char *region, const char *partition, struct buf *out, struct diag *diag);

/* aws_sts_signing_region(host, region, ret): the region in the signature of a call to `host`: the one that
 * the name of an endpoint of AWS's says (regional, FIPS, dual-stack, VPC); us-east-1 for the global one of
 * the aws partition; for all others `region`, which aws_region_check() has passed. */
void aws_sts_signing_region(const char *host, const char *region, char ret[static AWS_REGION_SIZE]);

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/aws_partition.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_regions(void **state)
{
	static const struct {
		const char *region, *partition, *endpoint;
	} cases[] = {
		{"us-east-1", "aws", "https://sts.us-east-1.amazonaws.com"},
		{"eu-central-1", "aws", "https://sts.eu-central-1.amazonaws.com"},
		{"ap-southeast-7", "aws", "https://sts.ap-southeast-7.amazonaws.com"},
		{"cn-north-1", "aws-cn", "https://sts.cn-north-1.amazonaws.com.cn"},
		{"us-gov-west-1", "aws-us-gov", "https://sts.us-gov-west-1.amazonaws.com"},
		{"eusc-de-east-1", "aws-eusc", "https://sts.eusc-de-east-1.amazonaws.eu"},
		{"us-iso-east-1", "aws-iso", "https://sts.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", "aws-iso-b", "https://sts.us-isob-east-1.sc2s.sgov.gov"},
		{"eu-isoe-west-1", "aws-iso-e", "https://sts.eu-isoe-west-1.cloud.adc-e.uk"},
		{"us-isof-south-1", "aws-iso-f", "https://sts.us-isof-south-1.csp.hci.ic.gov"},
		{"mars-north-1", "aws", "https://sts.mars-north-1.amazonaws.com"},
		{"cn", "aws", "https://sts.cn.amazonaws.com"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf endpoint = {0};
		assert_string_equal(aws_partition_of(cases[i].region), cases[i].partition);
		assert_int_equal(aws_sts_endpoint(cases[i].region, NULL, &endpoint, NULL), 0);
		assert_string_equal(endpoint.data, cases[i].endpoint);
	}
}

static void test_configured_partition(void **state)
{
	_cleanup_buf_ struct buf endpoint = {0};
	struct diag diag;

	(void)state;
	assert_int_equal(aws_sts_endpoint("xx-new-1", "aws-cn", &endpoint, &diag), 0);
	assert_string_equal(endpoint.data, "https://sts.xx-new-1.amazonaws.com.cn");
	buf_reset(&endpoint);
	assert_int_equal(aws_sts_endpoint("xx-new-1", "aws-mars", &endpoint, &diag), -EINVAL);
	assert_string_equal(diag.field, "partition");
	assert_int_equal(endpoint.len, 0);
}

static void test_bad_regions(void **state)
{
	static const char *const cases[] = {
		"",
		"US-EAST-1",
		"us east 1",
		"us-east-1.evil.example",
		"us-east-1/",
		"@evil",
		"-us",
		"us-",
		"us-east-1\n",
		"a123456789a123456789a123456789a123456789a123456789a123456789a123",
	};
	struct diag diag;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf endpoint = {0};
		assert_int_equal(aws_sts_endpoint(cases[i], NULL, &endpoint, &diag), -EINVAL);
		assert_string_equal(diag.field, "region");
		assert_int_equal(endpoint.len, 0);
	}
}

static void test_signing_region(void **state)
{
	static const struct {
		const char *host, *signing_region;
	} cases[] = {
		{"sts.eu-west-1.amazonaws.com", "eu-west-1"},
		{"sts.amazonaws.com", "us-east-1"},
		{"STS.AmazonAWS.com", "us-east-1"},
		{"sts.amazonaws.com.evil.example", "eu-west-1"},
		{"minio.example.net", "eu-west-1"},
		{"sts.us-east-2.amazonaws.com", "us-east-2"},
		{"sts-fips.us-west-2.amazonaws.com", "us-west-2"},
		{"STS.us-west-2.Amazonaws.com", "us-west-2"},
		{"sts.us-west-2.api.aws", "us-west-2"},
		{"sts.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"sts.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1"},
		{"sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
		{"sts.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"},
		{"vpce-0a1b-2c.sts.eu-central-1.vpce.amazonaws.com", "eu-central-1"},
		/* Others' names that look like it. */
		{"sts.us-east-2.example.net", "eu-west-1"},
		{"sts.us-east-2.notamazonaws.com", "eu-west-1"},
		{"amazonaws.com", "eu-west-1"},
		{"ec2.us-east-2.amazonaws.com", "eu-west-1"},
		{"sts.us_east.amazonaws.com", "eu-west-1"},
		{"sts..amazonaws.com", "eu-west-1"},
		{"", "eu-west-1"},
	};
	char region[AWS_REGION_SIZE];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		aws_sts_signing_region(cases[i].host, "eu-west-1", region);
		if (strcmp(region, cases[i].signing_region) != 0)
			fail_msg("%s: %s", cases[i].host, region);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_configured_partition),
		cmocka_unit_test(test_bad_regions),
		cmocka_unit_test(test_signing_region),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

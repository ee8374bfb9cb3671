// AWS SDK for JavaScript v2 as a workload uses it: its default chain, then one signed call.
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = require("aws-sdk");

(async () => {
	const sts = new AWS.STS({ endpoint: process.env.ENDPOINT });
	const { Arn } = await sts.getCallerIdentity().promise();
	console.log(JSON.stringify({ access_key_id: sts.config.credentials.accessKeyId, arn: Arn }));
})();

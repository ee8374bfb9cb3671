// AWS SDK for JavaScript v3 as a workload uses it: the default chain of Node, then one signed call.
const { fromNodeProviderChain } = require("@aws-sdk/credential-providers");
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");

(async () => {
	const sts = new STSClient({ endpoint: process.env.ENDPOINT, credentials: fromNodeProviderChain() });
	const { Arn } = await sts.send(new GetCallerIdentityCommand({}));
	const { accessKeyId } = await sts.config.credentials();
	console.log(JSON.stringify({ access_key_id: accessKeyId, arn: Arn }));
})();

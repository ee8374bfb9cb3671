// @aws-sdk/ec2-metadata-service, which reads metadata and sends paths with a double slash; then one call
// that is signed with what it read.
const { MetadataService } = require("@aws-sdk/ec2-metadata-service");
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");

(async () => {
	const service = new MetadataService({});
	const directory = "/latest/meta-data/iam/security-credentials/";
	const role = await service.request(directory, {});
	const keys = JSON.parse(await service.request(directory + role, {}));
	const credentials = {
		accessKeyId: keys.AccessKeyId, secretAccessKey: keys.SecretAccessKey, sessionToken: keys.Token,
	};
	const sts = new STSClient({ endpoint: process.env.ENDPOINT, credentials });
	const { Arn } = await sts.send(new GetCallerIdentityCommand({}));
	console.log(JSON.stringify({ access_key_id: keys.AccessKeyId, arn: Arn }));
})();

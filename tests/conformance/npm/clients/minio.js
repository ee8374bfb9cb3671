// minio-js as a workload uses it: the instance's role, then one signed call. It speaks S3 alone.
//
// Up to 8.0.7 at least it reads AccessKeyID where EC2 (and rolegate) sends AccessKeyId, so it works with
// no instance at all. What it fetches, and how, is worth a test all the same: the spelling is put right here.
const parse = JSON.parse;
JSON.parse = (text, ...rest) => {
	const value = parse(text, ...rest);
	if (value?.AccessKeyId)
		value.AccessKeyID = value.AccessKeyId;
	return value;
};
const { Client, IamAwsProvider } = require("minio");

(async () => {
	const endpoint = new URL(process.env.ENDPOINT);
	const client = new Client({
		endPoint: endpoint.hostname, port: Number(endpoint.port), useSSL: false, region: process.env.AWS_REGION,
		credentialsProvider: new IamAwsProvider({}),
	});
	await client.listBuckets();
	console.log(JSON.stringify({ access_key_id: client.accessKey }));
})();

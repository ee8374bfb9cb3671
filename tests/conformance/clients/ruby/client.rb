# aws-sdk-core as a workload uses it: its default credential chain, then one signed call.
require "aws-sdk-core"
require "json"

sts = Aws::STS::Client.new(endpoint: ENV.fetch("ENDPOINT"))
identity = sts.get_caller_identity
puts JSON.generate(access_key_id: sts.config.credentials.credentials.access_key_id, arn: identity.arn)

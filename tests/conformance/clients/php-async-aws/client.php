<?php
// AsyncAws as a workload uses it: its default credential chain, then one signed call.
require_once '/usr/share/php/AsyncAws/Core/autoload.php';

use AsyncAws\Core\Configuration;
use AsyncAws\Core\Credentials\ChainProvider;
use AsyncAws\Core\Sts\StsClient;

$configuration = Configuration::create(['endpoint' => getenv('ENDPOINT'), 'region' => getenv('AWS_REGION')]);
$credentials = ChainProvider::createDefaultChain()->getCredentials($configuration);
if ($credentials === null) {
    fwrite(STDERR, "no credentials\n");
    exit(1);
}
$identity = (new StsClient($configuration))->getCallerIdentity();
echo json_encode(['access_key_id' => $credentials->getAccessKeyId(), 'arn' => $identity->getArn()]), "\n";

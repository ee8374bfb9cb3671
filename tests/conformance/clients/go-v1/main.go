// aws-sdk-go (v1) as a workload uses it: its default credential chain, then one signed call.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"
)

func main() {
	s := session.Must(session.NewSession(&aws.Config{Endpoint: aws.String(os.Getenv("ENDPOINT"))}))
	credentials, err := s.Config.Credentials.Get()
	if err != nil {
		log.Fatal(err)
	}
	identity, err := sts.New(s).GetCallerIdentity(&sts.GetCallerIdentityInput{})
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{
		"access_key_id": credentials.AccessKeyID,
		"arn":           *identity.Arn,
	})
}

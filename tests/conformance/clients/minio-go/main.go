// minio-go as a workload uses it: the instance's role, then one signed call. It speaks S3 alone.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func main() {
	endpoint, err := url.Parse(os.Getenv("ENDPOINT"))
	if err != nil {
		log.Fatal(err)
	}
	role := credentials.NewIAM("")
	value, err := role.Get()
	if err != nil {
		log.Fatal(err)
	}
	client, err := minio.New(endpoint.Host, &minio.Options{Creds: role, Region: os.Getenv("AWS_REGION")})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.ListBuckets(context.Background()); err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{
		"access_key_id": value.AccessKeyID,
	})
}

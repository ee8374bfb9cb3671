// aws-sdk-go-v2 with its default credential chain, as process 1 of a container: whose credentials does it get?
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
)

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("source", credentials.Source)
	fmt.Println("key", credentials.AccessKeyID)
}

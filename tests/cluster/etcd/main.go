// Command etcd is the store of the test cluster's API server. It is a module of its own so that neither it nor
// Kubernetes moves the other's dependencies from the versions they were released with.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

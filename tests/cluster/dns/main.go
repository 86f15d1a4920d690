// Command coredns is the DNS server of the test cluster: CoreDNS with the few plugins that its configuration names. The
// stock program pulls the clients of three clouds and takes several times as long to build.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

// The order is the order in which the plugins see a question.
func init() {
	dnsserver.Directives = []string{"bind", "ready", "log", "errors", "cache", "kubernetes"}
}

func main() {
	coremain.Run()
}

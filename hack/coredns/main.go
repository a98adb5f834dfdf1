// Command coredns is CoreDNS with the nine plugins that the lab's node needs; the full list pulls in cloud SDKs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order in which a query passes the plugins: template last, to answer what nobody else knows.
func init() {
	dnsserver.Directives = []string{
		"bind", "health", "ready", "log", "errors", "cache", "hosts", "kubernetes", "template",
	}
}

func main() { coremain.Run() }

// Go: net/http with its default settings, a new connection for each request.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	url, mode := os.Args[1], os.Args[2]
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 60 * time.Second
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: transport, Timeout: 60 * time.Second}
	for done := 0; ; {
		answer, err := client.Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		if err == nil {
			done++
			if mode != "count" || done%50 == 1 {
				fmt.Println("ok", done)
			}
			if mode != "count" {
				return
			}
		} else {
			fmt.Println("FAIL", err)
			if mode == "once" {
				os.Exit(1)
			}
		}
		if mode == "count" {
			time.Sleep(100 * time.Millisecond)
		} else {
			time.Sleep(500 * time.Millisecond)
		}
	}
}

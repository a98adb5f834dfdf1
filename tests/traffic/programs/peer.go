// A TLS server that takes up a changed certificate, and a client that handshakes for ever, in Go.
//
//	peer server FOLDER            prints its port; FOLDER/tls.crt and tls.key are read anew when ..data changes
//	peer once|reread BUNDLE MILLISECONDS NAME:PORT...
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const patience, loops = time.Minute, 4

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2])
	}
	pace, _ := strconv.Atoi(os.Args[3])
	for first := 1; first < loops; first++ {
		go loop(first, pace)
	}
	loop(0, pace)
}

func loop(first, pace int) {
	for turn := first; ; turn++ {
		target := os.Args[4+turn%len(os.Args[4:])]
		name, port, _ := strings.Cut(target, ":")
		if err := shake(name, port, os.Args[1] == "reread", os.Args[2]); err != nil {
			fmt.Printf("fail %s %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok %s\n", name)
		}
		time.Sleep(time.Duration(pace) * time.Millisecond)
	}
}

func serve(folder string) {
	var lock sync.Mutex
	var seen string
	var pair *tls.Certificate
	current := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		lock.Lock()
		defer lock.Unlock()
		version, err := filepath.EvalSymlinks(filepath.Join(folder, "..data"))
		if err != nil || version == seen {
			return pair, err
		}
		loaded, err := tls.LoadX509KeyPair(filepath.Join(version, "tls.crt"), filepath.Join(version, "tls.key"))
		if err == nil {
			seen, pair = version, &loaded
		}
		return pair, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: current})
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		if connection, err := listener.Accept(); err == nil {
			go answer(connection)
		}
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(connection)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	connection.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n"))
}

var trust struct {
	sync.Mutex
	seen string
	pool *x509.CertPool
}

// What the bundle holds now; it is read anew when the folder that it is in was swapped.
func roots(bundle string) (*x509.CertPool, error) {
	trust.Lock()
	defer trust.Unlock()
	version, err := filepath.EvalSymlinks(filepath.Join(filepath.Dir(bundle), "..data"))
	if err != nil || version == trust.seen {
		return trust.pool, err
	}
	pem, err := os.ReadFile(filepath.Join(version, filepath.Base(bundle)))
	if err == nil {
		trust.seen, trust.pool = version, x509.NewCertPool()
		trust.pool.AppendCertsFromPEM(pem)
	}
	return trust.pool, err
}

// What is read once is what Go itself reads: SSL_CERT_FILE.
func shake(name, port string, reread bool, bundle string) error {
	config := &tls.Config{ServerName: name}
	if reread {
		pool, err := roots(bundle)
		if err != nil {
			return err
		}
		config.RootCAs = pool
	}
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", "127.0.0.1:"+port, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
	if line, err := bufio.NewReader(connection).ReadString('\n'); !strings.Contains(line, " 200 ") {
		return errors.Join(errors.New("no answer"), err)
	}
	return nil
}

"""Judges that are written in Go, built with the toolchain that builds the lab's own programs."""

import subprocess
from pathlib import Path

from anchorline.lab import golang

# Verifies leaf.pem under roots.pem and others.pem.
VERIFIER = """
package main

import ("crypto/x509"; "encoding/pem"; "fmt"; "os"; "strconv"; "time")

func must(err error) { if err != nil { fmt.Println(err); os.Exit(1) } }

// main prints one line for each name: ok, or why not.
func main() {
    roots, others := x509.NewCertPool(), x509.NewCertPool()
    for name, pool := range map[string]*x509.CertPool{"roots.pem": roots, "others.pem": others} {
        data, err := os.ReadFile(name); must(err); pool.AppendCertsFromPEM(data)
    }
    data, err := os.ReadFile("leaf.pem"); must(err)
    block, _ := pem.Decode(data)
    leaf, err := x509.ParseCertificate(block.Bytes); must(err)
    seconds, err := strconv.ParseInt(os.Args[1], 10, 64); must(err)
    now := time.Unix(seconds, 0)
    for _, name := range os.Args[2:] {
        options := x509.VerifyOptions{Roots: roots, Intermediates: others, DNSName: name, CurrentTime: now}
        if _, err := leaf.Verify(options); err != nil { fmt.Println("no", name, err) } else { fmt.Println("ok", name) }
    }
}
"""


def built(source: str, folder: Path) -> Path:
    """Build one file without further modules; the program."""
    (folder / "judge.go").write_text(source)
    command = [golang.toolchain(), "build", "-o", "judge", "judge.go"]
    done = subprocess.run(command, cwd=folder, env=golang.environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder / "judge"

// A TLS server that takes up a changed certificate, and a client that handshakes for ever, in Java.
import java.io.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import java.util.concurrent.*;
import javax.net.ssl.*;

class Peer {
    static final int PATIENCE = 60000, LOOPS = 4;
    static final String BODY = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n";
    static Path seen, trustSeen;
    static SSLContext current;
    static TrustManager[] trusted;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("server")) serve(Path.of(args[1]));
        TrustManager[] once = args[0].equals("once") ? trust(args[1]) : null;
        for (int first = 1; first < LOOPS; first++) {
            int turn = first;
            new Thread(() -> loop(args, once, turn)).start();
        }
        loop(args, once, 0);
    }

    static void loop(String[] args, TrustManager[] once, int first) {
        for (int turn = first; ; turn++) {
            String[] target = args[3 + turn % (args.length - 3)].split(":");
            try {
                // A new context each time, so that no session is resumed; what it trusts is what was read.
                shake(target[0], Integer.parseInt(target[1]), once != null ? once : reread(Path.of(args[1])));
                System.out.println("ok " + target[0]);
            } catch (Exception error) {
                System.out.println("fail " + target[0] + " " + error.toString().replace('\n', ' '));
            }
            try { Thread.sleep(Long.parseLong(args[2])); } catch (InterruptedException end) { return; }
        }
    }

    static void serve(Path folder) throws Exception {
        ServerSocket listener = new ServerSocket(0, 100, InetAddress.getLoopbackAddress());
        ExecutorService pool = Executors.newCachedThreadPool();
        System.out.println(listener.getLocalPort());
        while (true) {
            Socket plain = listener.accept();
            pool.submit(() -> { answer(plain, folder); return null; });
        }
    }

    static void answer(Socket plain, Path folder) throws Exception {
        plain.setSoTimeout(PATIENCE);
        try (SSLSocket socket = (SSLSocket) context(folder).getSocketFactory().createSocket(plain, null, true)) {
            socket.startHandshake();
            BufferedReader reader = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            for (String line = reader.readLine(); line != null && !line.isEmpty(); line = reader.readLine()) { }
            socket.getOutputStream().write(BODY.getBytes(StandardCharsets.US_ASCII));
        } catch (IOException gone) {
            plain.close();
        }
    }

    static synchronized SSLContext context(Path folder) throws Exception {
        Path version = folder.resolve("..data").toRealPath();
        if (!version.equals(seen)) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            var chain = certificates(version.resolve("tls.crt")).toArray(new java.security.cert.Certificate[0]);
            store.setKeyEntry("server", key(version.resolve("tls.key")), new char[0], chain);
            KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");  // no checks of our own chain: half the time
            keys.init(store, new char[0]);
            current = SSLContext.getInstance("TLS");
            current.init(keys.getKeyManagers(), null, null);
            seen = version;
        }
        return current;
    }

    static Collection<? extends java.security.cert.Certificate> certificates(Path file) throws Exception {
        try (InputStream in = Files.newInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in);
        }
    }

    static PrivateKey key(Path file) throws Exception {
        String body = Files.readString(file).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(body)));
    }

    static synchronized TrustManager[] reread(Path bundle) throws Exception {
        Path version = bundle.resolveSibling("..data").toRealPath();
        if (!version.equals(trustSeen)) {
            trusted = trust(version.resolve(bundle.getFileName()).toString());
            trustSeen = version;
        }
        return trusted;
    }

    static TrustManager[] trust(String bundle) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (var root : certificates(Path.of(bundle))) store.setCertificateEntry("root" + store.size(), root);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return factory.getTrustManagers();
    }

    static void shake(String name, int port, TrustManager[] trust) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust, null);
        Socket plain = new Socket("127.0.0.1", port);
        plain.setSoTimeout(PATIENCE);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, name, port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            socket.getOutputStream().write(("GET / HTTP/1.1\r\nHost: " + name + "\r\n\r\n").getBytes());
            if (socket.getInputStream().read() != 'H') throw new IOException("no answer");
        }
    }
}

// Java: HttpsURLConnection with the default SSLContext.
import java.net.URL;
import javax.net.ssl.HttpsURLConnection;

public class Client {
  public static void main(String[] words) throws Exception {
    String mode = words[1];
    for (int done = 0; ; ) {
      try {
        HttpsURLConnection connection = (HttpsURLConnection) new URL(words[0]).openConnection();
        connection.setConnectTimeout(60000);
        connection.setRequestProperty("Connection", "close");
        connection.getInputStream().readAllBytes();
        done += 1;
        if (!mode.equals("count") || done % 50 == 1) System.out.println("ok " + done);
        if (!mode.equals("count")) return;
      } catch (java.io.IOException error) {
        System.out.println("FAIL " + error.getMessage());
        if (mode.equals("once")) System.exit(1);
      }
      Thread.sleep(mode.equals("count") ? 100 : 500);
    }
  }
}

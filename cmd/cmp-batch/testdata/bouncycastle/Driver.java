import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.Security;
import java.util.Arrays;

/**
 * Bouncy Castle as a CMP end entity and as a CA, for files. A line of stdin is a
 * command: a verb and its arguments NAME=VALUE, between tabs. A line of stdout
 * is the answer: "ok" or "failed", a tab and a text. All that is checked of a
 * message is checked by Bouncy Castle and by the Java platform.
 */
public class Driver extends Authority {
    public static void main(String[] a) throws Exception {
        Security.addProvider(BC);
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Driver d = new Driver();
        for (String line; (line = in.readLine()) != null;) {
            String answer;
            try {
                String[] words = line.split("\t");
                answer = "ok\t" + d.run(words[0], Args.of(Arrays.copyOfRange(words, 1, words.length)));
            } catch (Throwable e) {
                StringBuilder text = new StringBuilder("failed\t" + e);
                for (Throwable c = e.getCause(); c != null; c = c.getCause()) {
                    text.append(": ").append(c);
                }
                for (StackTraceElement s : e.getStackTrace()) {
                    if (s.getClassName().indexOf('.') < 0) {
                        text.append(" at ").append(s.getFileName()).append(':').append(s.getLineNumber());
                    }
                }
                answer = text.toString();
            }
            out.println(answer.replace('\n', ' '));
        }
    }

    String run(String verb, Args a) throws Exception {
        switch (verb) {
            case "version":
                return String.valueOf(BC.getVersionStr());
            case "trust":
                anchor = readCertificate(a.must("file"));
                return anchor.getSubject().toString();
            case "key":
                return makeKey(a);
            case "ca":
                return makeCA(a);
            case "request":
                return request(a);
            case "wrap":
                return wrap(a);
            case "confirm":
                return confirm(a);
            case "poll":
                return poll(a);
            case "read":
                return read(a);
            case "answer":
                return answer(a);
            default:
                throw new IllegalArgumentException("no such verb: " + verb);
        }
    }
}

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Java's own client as it is by default, which asks each time whether HTTP/2 may be spoken: posts rows, gets a report. */
class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] words) throws Exception {
        var rows = "[{\"store_id\": \"java\", \"status\": \"active\", \"timestamp_utc\": \"2023-01-25T10:00:00Z\"}]";
        System.out.println(send(words[0], "/v1/observations", "application/json", BodyPublishers.ofString(rows)));
        var bytes = "{\"store_id\": \"java\", \"status\": \"active\", \"timestamp_utc\": \"2023-01-25T10:30:00Z\"}\n"
            .getBytes(StandardCharsets.UTF_8);
        var chunked = BodyPublishers.ofByteArrays(List.of(bytes)); // of unknown length, so sent in chunks
        System.out.println(send(words[0], "/v1/observations", "application/x-ndjson", chunked));
        var report = "{\"as_of\": \"2023-01-25T11:00:00Z\", \"stores\": [\"java\"]}";
        System.out.println(send(words[0], "/v1/reports", "application/json", BodyPublishers.ofString(report)));
    }

    private static String send(String url, String path, String type, BodyPublisher body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + path)).header("Content-Type", type).POST(body).build();
        HttpResponse<String> answer = CLIENT.send(request, BodyHandlers.ofString());
        return answer.statusCode() + " " + answer.body();
    }
}

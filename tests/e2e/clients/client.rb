# Ruby: Net::HTTP with its default settings.
require "net/http"
url, mode = ARGV
$stdout.sync = true
uri = URI(url)
done = 0
loop do
  begin
    Net::HTTP.start(uri.host, uri.port, use_ssl: true, open_timeout: 60) { |http| http.get("/") }
    done += 1
    puts "ok #{done}" if mode != "count" || done % 50 == 1
    exit 0 if mode != "count"
  rescue SystemExit
    raise
  rescue StandardError => error
    puts "FAIL #{error.message}"
    exit 1 if mode == "once"
  end
  sleep(mode == "count" ? 0.1 : 0.5)
end

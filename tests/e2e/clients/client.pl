# Perl: LWP with its default settings.
use strict; use warnings; use LWP::UserAgent; use Time::HiRes qw(sleep);
$| = 1;
my ($url, $mode) = @ARGV;
my $done = 0;
while (1) {
    my $answer = LWP::UserAgent->new(timeout => 60)->get($url);
    if ($answer->is_success) {
        $done += 1;
        print "ok $done\n" if $mode ne "count" || $done % 50 == 1;
        exit 0 if $mode ne "count";
    } else {
        print "FAIL ", $answer->status_line, "\n";
        exit 1 if $mode eq "once";
    }
    sleep($mode eq "count" ? 0.1 : 0.5);
}

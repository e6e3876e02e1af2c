# Regular expressions, hashes, sorting, string building, subroutine calls. Argument: rounds.
use strict;
use warnings;

sub fib { my $n = shift; return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }

sub words {
  my ($n, %count) = (shift);
  my $state = 1;
  for (1 .. $n) {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    $count{ 'w' . ($state % 5003) }++;
  }
  my @ranked = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
  return "@ranked[0 .. 4]";
}

sub text {
  my $n = shift;
  my $all = join "\n", map { sprintf '%05d key%d=value-%d; ratio=%.4f', $_, $_ % 97, $_ * $_ % 1009, $_ / 7 } 0 .. $n - 1;
  my ($sum, $matches) = (0, 0);
  while ($all =~ /key(\d+)=value-(\d+); ratio=(\d+)\.\d/g) { $sum += $1 + $2 + $3; $matches++; }
  (my $swapped = $all) =~ s/(\w+)=(\S+)/$2=$1/g;
  my $vowels = ($swapped =~ tr/aeiou//);
  return join '/', $matches, $sum, $vowels, length $swapped, scalar(split /[;\s]+/, $swapped);
}

sub matrix {
  my $n = shift;
  my @a = map { my $i = $_; [ map { $i * $_ % 7 } 0 .. $n - 1 ] } 0 .. $n - 1;
  my $trace = 0;
  for my $i (0 .. $n - 1) {
    for my $k (0 .. $n - 1) { $trace += $a[$i][$k] * $a[$k][$i]; }
  }
  return $trace;
}

my $hash = 5381;
for my $round (1 .. $ARGV[0]) {
  my $line = join ' ', $round, fib(17), words(30000), text(5000), matrix(100);
  $hash = ($hash * 33 + $_) & 281474976710655 for unpack 'C*', $line;
}
printf "%012x\n", $hash;

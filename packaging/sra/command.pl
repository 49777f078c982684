#!/usr/bin/perl
# Entry point of the storage replication adapter: SRM runs it without arguments and writes a request to its standard input.
# It starts the program beside it and hands everything through: the bytes of standard input, standard output, the exit status.
# Core modules only; no shell sees any path, so folders may have blanks.
use strict;
use warnings;
use FindBin;
use File::Spec;

my $here = $FindBin::RealBin;

# In an installed folder the program is below it; in the sources it is two folders up.
my ($program) = grep { -f $_ } map { File::Spec->catfile( $here, @{$_}, 'bin', 'sra' ) } [], [ File::Spec->updir, File::Spec->updir ];
if ( !defined $program ) {
    print "The program bin/sra is missing below $here; install the adapter again\n";
    exit 5;
}

# A Node.js of its own below the folder comes first, then the one that is named, then the one on the path.
my $windows = $^O eq 'MSWin32';
my ($own) = grep { -f $_ } map { File::Spec->catfile( $here, 'node', @{$_} ) } [ 'bin', 'node' ], ['node.exe'];
my $node = defined $own ? $own : defined $ENV{STORAGE_MANAGER_NODE} ? $ENV{STORAGE_MANAGER_NODE} : 'node';
my @command = ( $node, $program, '--adapter', File::Spec->catfile( $here, 'adapter.json' ), @ARGV );

if ( !$windows ) {
    # The same process: a time limit that kills it ends the program too.
    no warnings 'exec';
    exec { $node } @command;
    print "Node.js could not be started ($node): $!; install Node.js 20.19 or newer, or set STORAGE_MANAGER_NODE\n";
    exit 5;
}
my $status = system { $node } @command;
if ( $status == -1 ) {
    print "Node.js could not be started ($node): $!; install Node.js 20.19 or newer, or set STORAGE_MANAGER_NODE\n";
    exit 5;
}
exit( $status & 127 ? 128 + ( $status & 127 ) : $status >> 8 );

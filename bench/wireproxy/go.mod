// wireproxy as bench/embedded.py measures it; scripts/peers-without-root builds it.
module wireproxy

go 1.21.1

require (
	github.com/pufferffish/wireproxy v1.0.9
	suah.dev/protect v1.2.3
)

replace suah.dev/protect => ./protect

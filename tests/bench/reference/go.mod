// What the render benchmark compares with. See main.go.
module backstay.dev/bench/reference

go 1.26

require github.com/go-task/slim-sprig/v3 v3.0.0

// A first program: goroutines, channels, maps, formatting, a recovered panic, the garbage collector, the exit status.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
)

func divide(a, b int) (q int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	return a / b, nil
}

func main() {
	fmt.Printf("Hello from Go, %d argument(s) %q\n", len(os.Args)-1, os.Args[1:])
	results := make(chan int)
	var wait sync.WaitGroup
	for k := 0; k < 20; k++ {
		wait.Add(1)
		go func(k int) {
			defer wait.Done()
			results <- k * k
		}(k)
	}
	go func() { wait.Wait(); close(results) }()
	sum := 0
	for r := range results {
		sum += r
	}
	counts := map[rune]int{}
	for _, c := range strings.ToLower("The quick brown fox jumps over the lazy dog") {
		counts[c]++
	}
	keys := make([]string, 0, len(counts))
	for c, n := range counts {
		keys = append(keys, fmt.Sprintf("%c%d", c, n))
	}
	sort.Strings(keys)
	fmt.Println(sum, strings.Join(keys, ""))
	fmt.Println(math.Sqrt(2), 1.0/3, math.MaxFloat64, float32(0.1), 1<<62)
	fmt.Println(divide(7, 0))
	var p *int
	func() {
		defer func() { fmt.Println(recover()) }()
		fmt.Println(*p)
	}()
	garbage := 0
	for k := 0; k < 2000; k++ {
		garbage += len(make([]byte, 10000))
	}
	runtime.GC()
	fmt.Println(garbage)
	fmt.Fprintln(os.Stderr, "a line on stderr")
	os.Exit(5)
}

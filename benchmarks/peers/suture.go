// suture at the same work. Prints the figures as JSON; ends badly if work was not done.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/thejerf/suture/v4"
)

var errCrash = errors.New("crash")

// A service says when it is ready, and then lives until it is stopped, or told to crash.
type service struct {
	ready   chan<- time.Time
	crash   chan struct{}
	crashed chan time.Time
	ended   *int64
}

func (s *service) Serve(ctx context.Context) error {
	s.ready <- time.Now()
	select {
	case <-ctx.Done():
		if s.ended != nil {
			atomic.AddInt64(s.ended, 1)
		}
		return ctx.Err()
	case <-s.crash:
		s.crashed <- time.Now()
		return errCrash
	}
}

// It crashes as soon as it runs, so many times.
type crasher struct {
	left int
	runs int
	done chan struct{}
}

func (c *crasher) Serve(ctx context.Context) error {
	c.runs++
	if c.left == 0 {
		close(c.done)
		<-ctx.Done()
		return ctx.Err()
	}
	c.left--
	return errCrash
}

func newSupervisor() *suture.Supervisor {
	return suture.New("bench", suture.Spec{
		EventHook:        func(suture.Event) {},
		FailureThreshold: 1e12,
		Timeout:          time.Minute,
	})
}

func per(d time.Duration, n int) float64 { return d.Seconds() / float64(n) }

func must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func used() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

type fleet struct {
	sup    *suture.Supervisor
	cancel context.CancelFunc
	over   <-chan error
	ready  chan time.Time
	ended  int64
}

func open() *fleet {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{sup: newSupervisor(), cancel: cancel, ready: make(chan time.Time)}
	f.over = f.sup.ServeBackground(ctx)
	return f
}

func (f *fleet) start(n int) {
	for i := 0; i < n; i++ {
		f.sup.Add(&service{ready: f.ready, ended: &f.ended})
		<-f.ready
	}
}

func (f *fleet) stop() {
	f.cancel()
	<-f.over
}

func start(n int) {
	f := open()
	t0 := time.Now()
	f.start(n)
	t1 := time.Now()
	f.stop()
	t2 := time.Now()
	must(atomic.LoadInt64(&f.ended) == int64(n), "not all ended")
	fmt.Printf("{\"start\": %g, \"stop\": %g}\n", per(t1.Sub(t0), n), per(t2.Sub(t1), n))
}

func restarts(n int) {
	f := open()
	c := &crasher{left: n, done: make(chan struct{})}
	t0 := time.Now()
	f.sup.Add(c)
	<-c.done
	t1 := time.Now()
	f.stop()
	must(c.runs == n+1, "not all restarted")
	fmt.Printf("{\"restart\": %g}\n", per(t1.Sub(t0), n))
}

func latency(n int) {
	f := open()
	f.start(n)
	s := &service{ready: f.ready, crash: make(chan struct{}), crashed: make(chan time.Time, 1)}
	f.sup.Add(s)
	<-f.ready
	took := make([]float64, 0, 1000)
	for i := 0; i < 1000; i++ {
		s.crash <- struct{}{}
		at := <-s.crashed
		took = append(took, (<-f.ready).Sub(at).Seconds())
	}
	f.stop()
	sort.Float64s(took)
	fmt.Printf("{\"p50\": %g, \"p99\": %g}\n", took[499], took[989])
}

func memory(n int) {
	f := open()
	before := used()
	f.start(n)
	after := used()
	f.stop()
	fmt.Printf("{\"memory\": %g}\n", (after-before)/float64(n))
}

func subtree(n int) {
	f := open()
	before := used()
	t0 := time.Now()
	for i := 0; i < n; i++ {
		tree := newSupervisor()
		for j := 0; j < 3; j++ {
			tree.Add(&service{ready: f.ready, ended: &f.ended})
		}
		f.sup.Add(tree)
		for j := 0; j < 3; j++ {
			<-f.ready
		}
	}
	t1 := time.Now()
	after := used()
	t2 := time.Now()
	f.stop()
	t3 := time.Now()
	must(atomic.LoadInt64(&f.ended) == int64(3*n), "not all ended")
	fmt.Printf("{\"start\": %g, \"stop\": %g, \"memory\": %g}\n",
		per(t1.Sub(t0), n), per(t3.Sub(t2), n), (after-before)/float64(n))
}

func main() {
	n, err := strconv.Atoi(os.Args[2])
	must(err == nil, "no number")
	map[string]func(int){
		"start": start, "restarts": restarts, "latency": latency, "memory": memory, "subtree": subtree,
	}[os.Args[1]](n)
}

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"zrs/internal/monitor"
)

// parseLimits reads the values of --warning and --critical.
func parseLimits(warning, critical string) (limits monitor.Limits, err error) {
	if limits.Warning, err = parseLimit(warning); err != nil {
		return limits, fmt.Errorf("--warning: %w", err)
	}
	if limits.Critical, err = parseLimit(critical); err != nil {
		return limits, fmt.Errorf("--critical: %w", err)
	}
	w, c := limits.Warning, limits.Critical
	return limits, errors.Join(
		inOrder("age", w.Age, c.Age),
		inOrder("transactions", w.Transactions, c.Transactions),
		inOrder("bytes", w.Bytes, c.Bytes))
}

// inOrder refuses a limit for warnings that is never reached.
func inOrder[T ~int64](name string, warning, critical *T) error {
	if warning != nil && critical != nil && *warning > *critical {
		return fmt.Errorf("--warning: %s=%v is more than --critical has", name, *warning)
	}
	return nil
}

// parseLimit reads limits such as age=30s,transactions=100,bytes=1M, or 30s.
func parseLimit(s string) (limit monitor.Limit, err error) {
	if s == "" {
		return limit, nil
	}
	given := map[string]bool{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			name, value = "age", part
		}
		if given[name] {
			return limit, fmt.Errorf("%q: %s is limited twice", s, name)
		}
		given[name] = true
		switch name {
		case "age":
			d, durationErr := parseDuration(value)
			if err = durationErr; err == nil {
				err = notNegative("age", d)
			}
			limit.Age = new(time.Duration(d))
		case "transactions":
			n, numberErr := strconv.ParseInt(value, 10, 64)
			if numberErr != nil || n < 0 {
				err = fmt.Errorf("transactions %q: want a count, as in 100", value)
			}
			limit.Transactions = &n
		case "bytes":
			n, sizeErr := parseByteSize(value)
			err = sizeErr
			limit.Bytes = new(int64(n))
		default:
			err = fmt.Errorf("%q: want age=TIME, transactions=COUNT or bytes=SIZE", part)
		}
		if err != nil {
			return limit, err
		}
	}
	return limit, nil
}

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cmp-batch/spool"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads: counters of the pump and sizes of the
// Store, by channels and results only, never by names or serials.
type metrics struct {
	registry *prometheus.Registry
	stage    *prometheus.HistogramVec
	pump     *spool.Pump
	store    spool.Store
	shelves  []*shelf
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cmpbatch_stage_seconds", Help: "Time of one step of a batch.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"stage"}),
	}
	m.registry.MustRegister(m.stage)
	return m
}

func (m *metrics) observe(s spool.Stage, n int, d time.Duration) {
	m.stage.WithLabelValues(string(s)).Observe(d.Seconds())
}

// watch starts to export what a pump, a Store and the CRLs of other CAs count.
func (m *metrics) watch(p *spool.Pump, s spool.Store, shelves []*shelf) {
	m.pump, m.store, m.shelves = p, s, shelves
	m.registry.MustRegister(m)
}

var (
	descMessages = prometheus.NewDesc("cmpbatch_messages_total", "Messages by channel and what became of them.", []string{"channel", "result"}, nil)
	descReplies  = prometheus.NewDesc("cmpbatch_replies_delivered_total", "Answers that arrived, each arrival counted.", []string{"channel"}, nil)
	descChannel  = prometheus.NewDesc("cmpbatch_channel_errors_total", "Errors of a channel by step.", []string{"channel", "step"}, nil)
	descCerts    = prometheus.NewDesc("cmpbatch_certificates_total", "Certificates by what was done.", []string{"done"}, nil)
	descErrors   = prometheus.NewDesc("cmpbatch_errors_total", "Errors of the service by kind.", []string{"kind"}, nil)
	descBatches  = prometheus.NewDesc("cmpbatch_batches_total", "Commits.", nil, nil)
	descHeld     = prometheus.NewDesc("cmpbatch_held_ended_total", "Requests that were held for a person and are no more, by how that ended.", []string{"how"}, nil)
	descNow      = prometheus.NewDesc("cmpbatch_work", "Messages claimed and not settled, by why.", []string{"state"}, nil)
	descStore    = prometheus.NewDesc("cmpbatch_store_rows", "What the database holds.", []string{"kind"}, nil)
	descTrust    = prometheus.NewDesc("cmpbatch_trust_crls", "CRLs of other CAs, by trust and whether they are valid now, and files of which none could be read.", []string{"trust", "state"}, nil)
	descTrustEnd = prometheus.NewDesc("cmpbatch_trust_next_update_seconds", "When the first of the valid CRLs of a trust ends, in Unix time; 0: none is valid.", []string{"trust"}, nil)
)

// Describe is for the registry.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMessages, descReplies, descChannel, descCerts, descErrors, descBatches, descHeld, descNow, descStore, descTrust, descTrustEnd} {
		ch <- d
	}
}

// Collect is for the registry.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	s := m.pump.Stats()
	for name, c := range s.Channels {
		counter(descMessages, c.Answered-c.Refused, name, "answered")
		counter(descMessages, c.Refused, name, "refused")
		counter(descMessages, c.Waiting-c.Held, name, "waiting")
		counter(descMessages, c.Held, name, "held")
		counter(descMessages, c.Failed, name, "failed")
		counter(descMessages, c.Silent, name, "silent")
		counter(descReplies, c.Delivered, name)
		counter(descChannel, c.CollectErrors, name, "collect")
		counter(descChannel, c.DeliverErrors, name, "deliver")
		counter(descChannel, c.SettleErrors, name, "settle")
	}
	counter(descCerts, s.Issued, "issued")
	counter(descCerts, s.Revoked, "revoked")
	counter(descErrors, s.CommitErrors, "commit")
	counter(descErrors, s.StoreErrors, "store")
	counter(descErrors, s.ProcessErrors, "process")
	counter(descErrors, s.Panics, "panic")
	counter(descErrors, s.Conflicts, "conflict")
	counter(descBatches, s.Batches)
	counter(descHeld, s.Released, "answered")
	counter(descHeld, s.Withdrawn, "withdrawn")
	gauge(descNow, s.InFlight, "in_flight")
	gauge(descNow, s.Deferred, "deferred")
	gauge(descNow, s.Stuck, "stuck")
	for _, s := range m.shelves {
		valid, invalid, unread, next := s.counts(time.Now())
		gauge(descTrust, valid, s.cfg.Name, "valid")
		gauge(descTrust, invalid, s.cfg.Name, "invalid")
		gauge(descTrust, unread, s.cfg.Name, "unreadable")
		gauge(descTrustEnd, max(0, next.Unix()), s.cfg.Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := m.store.Counts(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descStore, err)
		return
	}
	for kind, n := range map[string]int64{
		"messages": c.Messages, "undelivered": c.Undelivered, "held": c.Held, "failed": c.Failed,
		"waiting": c.Waiting, "awaiting_confirm": c.AwaitingConfirm, "awaiting_proof": c.AwaitingProof,
		"archived_keys": c.ArchivedKeys, "passphrases": c.Passphrases, "certificates": c.Certificates,
		"unconfirmed": c.Unconfirmed, "valid": c.Valid, "revoked": c.RevokedCertificates, "secrets": c.Secrets, "audit_records": c.AuditRecords,
	} {
		gauge(descStore, n, kind)
	}
}

// serve answers /metrics on the address until the returned function is called.
func (m *metrics) serve(listen string, log *slog.Logger) (stop func(), err error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := srv.Serve(l); err != http.ErrServerClosed {
			log.Error("metrics", "err", err)
		}
	}()
	log.Info("metrics", "url", "http://"+l.Addr().String()+"/metrics")
	return func() { srv.Close() }, nil
}

// keepTextfile writes the metrics for the node exporter of a host that no
// scraper reaches.
func (m *metrics) keepTextfile(ctx context.Context, path string, log *slog.Logger) error {
	t := time.NewTicker(15 * time.Second)
	defer t.Stop()
	for {
		if err := prometheus.WriteToTextfile(path, m.registry); err != nil {
			log.Warn("metrics textfile", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

"""B4: rules judged on a stream, with log and effects written, beside faust-streaming, quixstreams and pgbench."""

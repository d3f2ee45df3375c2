"""The bucket: one :class:`~include.s3_xcom.s3.store.Store` puts, reads, copies, lists and deletes objects."""

"""What people and programs read: documents, tables, reports, and the printer."""

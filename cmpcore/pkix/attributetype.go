package pkix

// AttributeTypeByName finds the type of an attribute of names by its short
// name as RFC 4514 and OpenSSL write it, in any case, or its dotted form.
func AttributeTypeByName(name string) (OID, error) { return attributeType(name) }

// AttributeTypeName is the short name of a type, or its dotted form.
func AttributeTypeName(typ OID) string {
	if name := shortName(typ); name != "" {
		return name
	}
	return typ.String()
}

package resource

// Int is a number of the API as inputs have it.
func Int(n *int32) *int {
	if n == nil {
		return nil
	}
	i := int(*n)
	return &i
}

// Int32 is a number of the inputs as the API takes it.
func Int32(n *int) *int32 {
	if n == nil {
		return nil
	}
	i := int32(*n) //nolint:gosec // every caller's values are bounded by the API far below 2^31
	return &i
}

// Text is nil for "", by which APIs say "not set".
func Text[T ~string](text T) *string {
	if text == "" {
		return nil
	}
	s := string(text)
	return &s
}

// NotEmpty is a text, or nil where it is "".
func NotEmpty(text *string) *string {
	if text != nil && *text == "" {
		return nil
	}
	return text
}

// Default fills in what the program left out.
func Default[T any](property **T, value T) {
	if *property == nil {
		*property = &value
	}
}

// Same tells whether two optional values are the same.
func Same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// OrPrior is what the API said of a property, or what was known before where it said nothing at all. A service that
// returns every property makes this the same as reading it; one that keeps silent must not be taken for a denial.
func OrPrior[T any](api, prior *T) *T {
	if api != nil {
		return api
	}
	return prior
}

// Without a validator's URL the page would ask one on the Internet.
SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', validatorUrl: null, docExpansion: 'list' });
